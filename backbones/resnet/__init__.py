"""ResNet (He, Zhang, Ren and Sun 2015): the paper's tables, and the nets in both frameworks."""
