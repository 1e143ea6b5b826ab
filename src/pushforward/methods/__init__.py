"""Methods: who obeys the velocity."""
