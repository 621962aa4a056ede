"""What `load_callable` returns, whatever stands behind it. Layer: runtime."""
