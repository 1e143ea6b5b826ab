"""Runs that leave this machine: exported to a file, pushed to a folder that model hubs know, and pulled from one."""
