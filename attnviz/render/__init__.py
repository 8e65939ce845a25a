"""An inspection for people and for programs: terminal, figure, HTML, data."""
