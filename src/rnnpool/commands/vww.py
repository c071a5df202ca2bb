"""``rnnpool vww``: build the Visual Wake Words data set (is there a person?) from COCO."""

import argparse
import sys
from pathlib import Path

EPILOG = """\
example (--annotations and --images may be repeated; COCO 2014 has two of each):
  rnnpool vww --annotations instances_train2014.json --images train2014 --minival minival_ids.txt --out vww
  rnnpool train vww-coco --data vww

DIR gets train/ and val/ with links to the images in no_person/ and person/. Without --minival the images of the last
annotation file validate.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    for name, metavar, what in (
        ("--annotations", "FILE", "an instances_*.json of COCO; may be repeated"),
        ("--images", "DIR", "a folder of images; may be repeated"),
    ):
        parser.add_argument(name, metavar=metavar, help=what, type=Path, action="append", required=True)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the data set is made")
    parser.add_argument("--minival", metavar="FILE", type=Path, help="ids of the images that validate, one a line")
    parser.add_argument("--area", metavar="SHARE", type=float, default=0.005, help="of the image (default: 0.005)")


def run(args: argparse.Namespace) -> int:
    from rnnpool.data.coco_vww import build_vww, read_ids
    from rnnpool.errors import InputError

    if not 0 <= args.area < 1:
        raise InputError(f"--area {args.area}: a share of the image is 0 or more and below 1")
    minival = read_ids(args.minival) if args.minival else None
    counts = build_vww(args.annotations, args.images, args.out, minival=minival, area=args.area)
    for (part, label), count in sorted(counts.items()):
        print(f"{part:5} {label:9} {count:,}", file=sys.stdout)
    return 0
