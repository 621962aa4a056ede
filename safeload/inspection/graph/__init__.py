"""What the policy sees of a graph. Layer: inspection."""
