"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998): the paper's table, and the net in both frameworks."""
