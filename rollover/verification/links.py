"""The hash chain of one account against its rows as they stand now."""

from accounts.models import PammAccount
from rollover.models import ChainLink
from rollover.services.chain import NO_LINK, Content, contents_of, link_digest
from rollover.verification.differences import Findings
from rollover.verification.records import Point, unlinked_legs_of

CHUNK = 2000


def compare_chain(account: PammAccount, last: Point | None, findings: Findings) -> None:
    """Every rollover up to `last` has its link, over its rows and the link before.

    A row that was changed, removed or added shows at its rollover: the first two lines of a forged past are
    the rollover it begins at and the link after it. What the chain cannot show, an end that was cut off, the
    seals do.
    """
    until = 0 if last is None else last.sequence
    contents = contents_of(account, until=until)
    links = ChainLink.objects.filter(account=account, sequence__lte=until).order_by("sequence")
    rows = links.values_list("sequence", "price_point__sequence", "rows", "previous", "digest")
    content = next(contents, None)
    before, at = NO_LINK, 0
    for sequence, point, count, previous, digest in rows.iterator(chunk_size=CHUNK):
        while content is not None and content.sequence < sequence:
            findings.add("ChainLink", f"#{content.sequence}", "link of this rollover", "one", None)
            content = next(contents, None)
        found = content if content is not None and content.sequence == sequence else None
        content = next(contents, None) if found is not None else content
        row, linked = f"#{sequence}", bytes(digest)
        if found is None:
            findings.add("ChainLink", row, "rollover", "one of this number", None)
            found = Content(sequence, 0, NO_LINK)
        findings.compare(
            "ChainLink",
            row,
            (
                ("sequence", at + 1, sequence),
                ("rollover it is of", sequence, point),
                ("digest of the link before", before.hex(), bytes(previous).hex()),
                ("rows of its rollover", count, found.rows),
                (
                    "digest of its rollover",
                    linked.hex(),
                    link_digest(bytes(previous), account.public_id, found._replace(rows=count)).hex(),
                ),
            ),
        )
        before, at = linked, sequence
    while content is not None:
        findings.add("ChainLink", f"#{content.sequence}", "link of this rollover", "one", None)
        content = next(contents, None)
    for leg in unlinked_legs_of(account, before_sequence=at):
        findings.add("Leg", leg, "link", "one of a rollover after it", None)
