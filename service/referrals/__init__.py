"""The referral and its Tasks: moves, clocks, the next step, the queue."""
