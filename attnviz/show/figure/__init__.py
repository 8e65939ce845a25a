"""An inspection as a picture for a paper or a talk: heatmaps and lines, as matplotlib Figures."""
