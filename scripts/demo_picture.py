"""The README's picture: what ``make demo`` drew, side by side, as docs/images/demo.jpg."""

from pathlib import Path

from PIL import Image

HEIGHT = 400  # pixels


def main() -> None:
    pictures = [Image.open(path).convert("RGB") for path in sorted(Path("demo-out").glob("*.png"))]
    pictures = [picture.resize((picture.width * HEIGHT // picture.height, HEIGHT)) for picture in pictures]
    joined = Image.new("RGB", (sum(picture.width for picture in pictures), HEIGHT))
    left = 0
    for picture in pictures:
        joined.paste(picture, (left, 0))
        left += picture.width
    joined.save("docs/images/demo.jpg", quality=88)


if __name__ == "__main__":
    main()
