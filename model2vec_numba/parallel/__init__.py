"""Share work among threads, and survive forks."""
