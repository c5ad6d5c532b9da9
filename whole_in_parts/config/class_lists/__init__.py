"""Published lists of classes, one file each with a class a line: `datasets.NAME.classes` names a list by its file.

`imagenet100`: the 100 WordNet IDs of ImageNet-100 by Tian, Krishnan and Isola (Contrastive multiview coding, ECCV 2020,
arXiv:1906.05849; `imagenet100.txt` of github.com/HobbitLong/CMC, commit bc687a2), sorted, as class folders are.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.txt"))


def read_class_list(classes: object) -> object:
    """Return the classes of the list that is named; anything but a name is returned as it is.

    Raises:
        ValueError: no list is called so.
    """
    if not isinstance(classes, str):
        return classes
    if classes not in NAMES:
        raise ValueError(f"no list of classes is called {classes}; there are: {', '.join(NAMES)}, or name each class")
    return (FOLDER / f"{classes}.txt").read_text(encoding="utf-8").split()
