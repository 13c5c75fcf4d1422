"""VGG (Simonyan and Zisserman 2014): the paper's table, and the nets in both frameworks."""
