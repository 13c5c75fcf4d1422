"""Inception (Szegedy et al. 2014 and 2015): the papers' tables, and the nets in both frameworks."""
