"""What the process has one of: its clock, its timers, its long-lived tasks."""
