"""The drawing room: how answers are shown, in terminals, pictures, files and notebooks."""
