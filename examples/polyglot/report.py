"""Prints what there is to tell.

Knows: a terminal. Must not know: how it was found out.
"""


def handler(body):
    pages = sorted(body["pages"], key=lambda page: (-len(page["ladder"]), page["file"]))
    width = max((len(page["file"]) for page in (*pages, *body["refused"])), default=0)
    print(f"{len(pages)} page{'s' * (len(pages) != 1)}, {body['words']:,} words\n")
    print("Their longer words: " + ", ".join(f"{each['word']} {each['times']}" for each in body["frequent"]))
    print("\nThe longest ladder of each: every step changes one letter\n")
    for page in pages:
        print(f"  {page['file']:{width}}  {' '.join(page['ladder']) or '-'}")
    print("\nNot read\n")
    for page in body["refused"]:
        print(f"  {page['file']:{width}}  {page['why']}")
