"""What is added up of each head over a corpus, and what it comes to."""
