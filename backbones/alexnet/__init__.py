"""AlexNet (Krizhevsky, Sutskever and Hinton 2012): the paper's table, and the net in both frameworks."""
