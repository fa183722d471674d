"""Images in: files of any kind, folders, labels, CIFAR."""

from codecframe.images.cifar import CifarSet, download_cifar
from codecframe.images.read import read_image
from codecframe.images.sets import ImageItem, ImageSet, image_suffixes, open_images

__all__ = [
    "CifarSet",
    "ImageItem",
    "ImageSet",
    "download_cifar",
    "image_suffixes",
    "open_images",
    "read_image",
]
