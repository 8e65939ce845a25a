"""Questions about an inspection; each answer is a small frozen dataclass."""
