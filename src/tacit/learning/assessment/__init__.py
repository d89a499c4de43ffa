"""What each finished episode adds to the statistics, what it was worth, and how much counts say."""
