"""Facts about SavedModels. Layer: inspection."""
