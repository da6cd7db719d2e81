"""The names that users type, as the interface promises them: there, callable, and hidden by no submodule."""

import importlib
import inspect
import pkgutil

import pytest

import minicnn as mc

NAMES = {
    "minicnn": """
        tensor Tensor zeros ones full arange rand randn zeros_like ones_like full_like rand_like randn_like float32
        float64 int32 int64 uint8 bool no_grad enable_grad grad manual_seed Function device use_device gradcheck
        use_winograd detect_anomaly profile save load summary draw_graph nn optim""",
    "minicnn.errors": "MinicnnError ShapeError DTypeError DeviceError DataError CheckpointError NumericsError",
    "minicnn.functional": """
        add sub mul div neg pow exp log sqrt abs maximum minimum clamp where relu leaky_relu sigmoid tanh
        softmax log_softmax logsigmoid softplus silu gelu sum mean var max min amax amin argmax logsumexp
        reshape flatten permute transpose expand squeeze unsqueeze pad cat stack split flip matmul einsum
        linear conv2d conv_transpose2d unfold fold max_pool2d avg_pool2d adaptive_avg_pool2d
        adaptive_max_pool2d lp_pool2d batch_norm local_response_norm group_norm layer_norm normalize dropout
        dropout2d cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss binary_cross_entropy
        binary_cross_entropy_with_logits triplet_margin_loss cosine_similarity one_hot""",
    "minicnn.nn": """
        Module Parameter Sequential ModuleList BatchNorm1d GroupNorm LayerNorm SiLU GELU LogSoftmax MSELoss
        BCEWithLogitsLoss Conv2d ConvTranspose2d Linear ReLU LeakyReLU Sigmoid Tanh Softmax MaxPool2d AvgPool2d
        AdaptiveAvgPool2d AdaptiveMaxPool2d BatchNorm2d LocalResponseNorm Dropout Dropout2d Flatten Identity
        CrossEntropyLoss TripletMarginLoss init""",
    "minicnn.nn.init": "kaiming_normal_ kaiming_uniform_ xavier_uniform_",
    "minicnn.optim": "SGD Adam AdamW RMSprop lr_scheduler clip_grad_norm_",
    "minicnn.optim.lr_scheduler": """
        StepLR MultiStepLR CosineAnnealingLR OneCycleLR ReduceLROnPlateau LinearLR SequentialLR""",
    "minicnn.data": "Dataset DataLoader random_split ORLFaces ImageFolder read_pgm write_pgm transforms",
    "minicnn.data.transforms": """
        Compose Normalize RandomHorizontalFlip RandomCrop RandomAffine RandomErasing ElasticTransform ColorJitter
        RandomLight Resize""",
    "minicnn.models": """
        alexnet alexnet_2012 vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn resnet18 resnet34 resnet50
        resnet101 resnet152 resnet_cifar alexnet_orl resnet_orl vgg_orl mlp_orl face_resnet29 embedding""",
    "minicnn.training": "fit History",
    "minicnn.weights": """
        load_torch load_safetensors save_safetensors load_npz save_npz load_dlib load_weights export_onnx""",
    "minicnn.inspect": """
        feature_maps filters grad_cam saliency receptive_field activation_histograms gradient_histograms dead_relus""",
    "minicnn.faces": "FaceEmbedder identify equal_error_rate",
    "minicnn.testing": "assert_gradients",
}
METHODS = """
    shape ndim dtype device data grad requires_grad is_leaf numpy item detach to backward retain_grad register_hook view
    reshape sum mean max size T float double long clone contiguous tolist __array__"""


@pytest.fixture(scope="module")
def everything() -> None:
    """Import every submodule, so that one that hides a function of its name shows."""
    for module in pkgutil.walk_packages(mc.__path__, "minicnn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("module", NAMES)
def test_names_are_there(module):
    owner = importlib.import_module(module)
    for name in NAMES[module].split():
        found = getattr(owner, name)
        if module not in ("minicnn", "minicnn.nn", "minicnn.optim", "minicnn.data"):
            assert callable(found), name


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    "name", ["tensor", "device", "use_device", "grad", "gradcheck", "profile", "save", "load", "summary"]
)
def test_top_level_functions_are_callable(name):
    assert callable(getattr(mc, name))


def test_tensor_has_its_methods():
    x = mc.tensor([[1.0, 2.0]])
    for name in METHODS.split():
        assert hasattr(x, name), name


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("module", NAMES)
def test_what_users_call_is_documented(module):
    owner = importlib.import_module(module)
    for name in NAMES[module].split():
        found = getattr(owner, name)
        if inspect.isfunction(found) or inspect.isclass(found):
            assert (found.__doc__ or "").strip(), f"{module}.{name} has no docstring"
