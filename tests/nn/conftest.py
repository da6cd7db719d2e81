import torch

torch.set_num_threads(1)  # on small arrays PyTorch's threads cost more than they gain
