"""Images in: files of any kind, folders, labels, CIFAR."""

from codecframe.images.cifar import KINDS as CIFAR_SETS
from codecframe.images.cifar import CifarSet, class_names
from codecframe.images.download import download_cifar
from codecframe.images.groups import group_names, open_held_out, without
from codecframe.images.items import ImageItem, ImageSet
from codecframe.images.labelled import open_labelled
from codecframe.images.read import image_suffixes, read_image
from codecframe.images.sets import FileSet, open_images

__all__ = [
    "CIFAR_SETS",
    "CifarSet",
    "FileSet",
    "ImageItem",
    "ImageSet",
    "class_names",
    "download_cifar",
    "group_names",
    "image_suffixes",
    "open_held_out",
    "open_images",
    "open_labelled",
    "read_image",
    "without",
]
