"""``rnnpool shards DIR OUT``: pack folders of pictures into tar files to train from."""

import argparse
from pathlib import Path

EPILOG = """\
DIR holds PART/CLASS/*.jpg (train, val, ...) or CLASS/*.jpg, which is the part "all". OUT gets PART-000000.tar, ... in
WebDataset's naming, with the image files as they are, and PART.json, which says where each lies.

example:
  rnnpool shards imagenet imagenet-shards
  torchrun --nproc-per-node 8 -m rnnpool train RECIPE --data imagenet-shards
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of pictures, one folder a class")
    parser.add_argument("out", metavar="OUT", type=Path, help="where the shards are written")
    parser.add_argument("--megabytes", metavar="N", type=int, default=256, help="size of a shard (default: 256)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="draws the order (default: 0)")


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.output import check_folder
    from rnnpool.data.image_folder import class_names, image_folder
    from rnnpool.data.shards import ALL, pack, parts_of
    from rnnpool.errors import InputError

    if args.megabytes < 1:
        raise InputError(f"--megabytes {args.megabytes}: it must be 1 or more")
    if args.seed < 0:
        raise InputError(f"--seed {args.seed}: it must be 0 or more")
    parts = parts_of(args.folder)
    classes = class_names(args.folder / parts[0])
    for part in parts[1:]:  # an error comes before the first is packed
        image_folder(args.folder, part, classes=classes)
    check_folder(args.out, "OUT")
    for part in parts:
        index = pack(args.folder, part, args.out, classes=classes, megabytes=args.megabytes, seed=args.seed)
        name, images = ALL if part == "." else part, len(index.places)
        print(f"{name}: {images:,} images of {len(index.classes)} classes in {len(index.shards)} shards")
    return 0
