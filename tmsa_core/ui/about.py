"""The page on consent and misuse, and the licences of the weights of each domain."""

from __future__ import annotations

from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.domains import DOMAINS, Domain
from tmsa_core.errors import BundleError

CONSENT = """
## Before you edit a face

- **Ask.** Edit images of people who agree to it, or of nobody: the drawn and random portraits.
- **Do not deceive.** Do not pass an edit off as a photo, and do not use one to harass, to shame,
  to impersonate or to get around an identity check. In many places that is against the law.
- **Be careful with what an edit claims.** A network that makes somebody "older" or "male" repeats
  the habits of the images it learned from. It says nothing about the person.
- **Children, nudity, politics:** leave it.

## What this page does about it

- Every result says that it was edited: in words on the image (you can switch that off), and in
  its metadata, as IPTC's digital source type *composite with trained algorithmic media*, or
  *trained algorithmic media* where the portrait itself was generated. The recipe is there too:
  texts, strengths, levels, world, weights and version. Metadata can be removed by anybody, so it
  helps the honest only.
- Your image stays on the machine that runs this page. No other visitor gets it. It is deleted
  when you close the page, or at the latest two hours after.
- Nothing is learned from it and nothing is sent elsewhere.

If an image of you was edited here without your consent, its metadata says how; ask whoever
published it, or the platform, to take it down.
"""


def licences() -> str:
    """The licence of every weights file of every domain, as Markdown tables."""
    parts = ["## Licences of the weights"]
    for domain in DOMAINS.values():
        try:
            parts.append(_table(domain, open_bundle(domain.key)))
        except BundleError as error:
            parts.append(f"### {domain.title}\n\n{error}")
    return "\n\n".join(parts)


def _table(domain: Domain, bundle: Bundle) -> str:
    lines = [f"### {domain.title}", "", "| network | licence | where from |", "|---|---|---|"]
    for role, entry in sorted(bundle.files.items()):
        source = entry.source.partition("{")[0].strip(" :.")
        lines.append(f"| {role} | {entry.licence} | {_cell(source)} |")
    if bundle.notice:
        lines += ["", bundle.notice]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
