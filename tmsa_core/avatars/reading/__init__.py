"""Read any English text in the words that the avatar text encoder knows."""
