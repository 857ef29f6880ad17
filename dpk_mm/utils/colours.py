"""The colours of our pictures."""

# told apart by the colour-blind (Okabe and Ito)
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
