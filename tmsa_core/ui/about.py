"""The tab on consent and misuse, and the licences of the weights of each domain."""

from __future__ import annotations

from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.domains import DOMAINS, Domain
from tmsa_core.errors import BundleError

CONSENT = """
## Before you edit a face

- **Ask.** Edit images of people who agree, or the drawn and random portraits, which show no real
  person.
- **Do not deceive.** Do not present an edited image as a photo. Do not use it to harass, shame or
  impersonate anyone, or to pass an identity check. In many places that is against the law.
- **Do not draw conclusions from an edit.** A network that makes a face "older" or "male" repeats
  the patterns of its training images. The result says nothing about the person.
- Do not edit children, create nudity, or make political content.

## What this page does about it

- Every result says that it was edited: in words on the image (you can switch that off), and in
  its metadata. These give IPTC's digital source type, *composite with trained algorithmic media*,
  or *trained algorithmic media* if the portrait itself was generated. They also hold the recipe:
  texts, strengths, levels, domain, weights and version. Anyone can remove metadata, so they cannot
  prevent deception.
- Your image stays on the machine that runs this page. No other visitor can see it. It is deleted
  when you close the page, or at most two hours later.
- No network is trained on your image, and it is not sent to other servers.

If someone edited an image of you here without your consent, the metadata says how. Ask the
publisher or the platform to remove it.
"""


def licences() -> str:
    """List the licence of every weights file of every domain, as Markdown tables."""
    parts = ["## Licences of the weights"]
    for domain in DOMAINS.values():
        try:
            parts.append(_table(domain, open_bundle(domain.key)))
        except BundleError as error:
            parts.append(f"### {domain.title}\n\n{error}")
    return "\n\n".join(parts)


def _table(domain: Domain, bundle: Bundle) -> str:
    lines = [f"### {domain.title}", "", "| network | licence | source |", "|---|---|---|"]
    for role, entry in sorted(bundle.files.items()):
        source = entry.source.partition("{")[0].strip(" :.").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {role} | {entry.licence} | {source} |")
    if bundle.notice:
        lines += ["", bundle.notice]
    return "\n".join(lines)
