"""Toys: data whose law is known."""
