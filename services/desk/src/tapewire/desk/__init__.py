"""What a trader finds when they sit down: sessions, notifications, preferences; the mailroom."""
