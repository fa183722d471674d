"""Images in: files of any kind, folders, labels, CIFAR."""

from codecframe.images.cifar import CifarSet
from codecframe.images.download import download_cifar
from codecframe.images.read import image_suffixes, read_image
from codecframe.images.sets import FileSet, ImageItem, ImageSet, open_images

__all__ = [
    "CifarSet",
    "FileSet",
    "ImageItem",
    "ImageSet",
    "download_cifar",
    "image_suffixes",
    "open_images",
    "read_image",
]
