"""Writes tests/conformance/refusals/, the refusal corpus, anew. With --check it only compares, and names what differs.

The corpus comes out the same each time: keys follow from names, signatures are those of RFC 6979, the time is fixed.
"""
import pathlib
import sys

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

import corpus  # noqa: E402
import corpus_cases  # noqa: E402


def main():
    made = corpus_cases.make()
    if "--check" in sys.argv[1:]:
        different = corpus.differences(made)
        for path in different[:20]:
            print(f"{path} is not what tools/make_refusals.py makes", file=sys.stderr)
        print(f"{len(made.cases)} cases, {len(different)} files differ")
        return 1 if different else 0
    corpus.write(made)
    print(f"{len(made.cases)} cases in {corpus.FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
