"""What a methods section on agreement cites, as BibTeX; only what is cited is given out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from judge.report.paper import latex
from judge.report.paper.table import escape_markdown

__all__ = [
    "REFERENCES",
    "Cite",
    "Formula",
    "Paragraph",
    "Part",
    "Reference",
    "bibtex",
    "cited",
    "to_latex",
    "to_markdown",
]


class Reference(NamedTuple):
    """A BibTeX entry, its fields written in LaTeX, and how plain text cites it."""

    kind: str
    short: str
    fields: dict[str, str]


_ACL = "Association for Computational Linguistics"

REFERENCES: dict[str, Reference] = {
    "benjamini2001control": Reference(
        "article",
        "Benjamini and Yekutieli, 2001",
        {
            "author": "Benjamini, Yoav and Yekutieli, Daniel",
            "title": "The control of the false discovery rate in multiple testing under dependency",
            "journal": "The Annals of Statistics",
            "volume": "29",
            "number": "4",
            "pages": "1165--1188",
            "year": "2001",
            "doi": "10.1214/aos/1013699998",
        },
    ),
    "bonett2000sample": Reference(
        "article",
        "Bonett and Wright, 2000",
        {
            "author": "Bonett, Douglas G. and Wright, Thomas A.",
            "title": "Sample size requirements for estimating {Pearson}, {Kendall} and {Spearman} "
            "correlations",
            "journal": "Psychometrika",
            "volume": "65",
            "number": "1",
            "pages": "23--28",
            "year": "2000",
            "doi": "10.1007/BF02294183",
        },
    ),
    "calderon2025alternative": Reference(
        "inproceedings",
        "Calderon et al., 2025",
        {
            "author": "Calderon, Nitay and Reichart, Roi and Dror, Rotem",
            "title": "The Alternative Annotator Test for {LLM}-as-a-Judge: How to Statistically "
            "Justify Replacing Human Annotators with {LLM}s",
            "booktitle": "Proceedings of the 63rd Annual Meeting of the Association for "
            "Computational Linguistics (Volume 1: Long Papers)",
            "pages": "16051--16081",
            "year": "2025",
            "publisher": _ACL,
            "doi": "10.18653/v1/2025.acl-long.782",
        },
    ),
    "cameron2011robust": Reference(
        "article",
        "Cameron et al., 2011",
        {
            "author": "Cameron, A. Colin and Gelbach, Jonah B. and Miller, Douglas L.",
            "title": "Robust Inference With Multiway Clustering",
            "journal": "Journal of Business \\& Economic Statistics",
            "volume": "29",
            "number": "2",
            "pages": "238--249",
            "year": "2011",
            "doi": "10.1198/jbes.2010.07136",
        },
    ),
    "cohen1968weighted": Reference(
        "article",
        "Cohen, 1968",
        {
            "author": "Cohen, Jacob",
            "title": "Weighted kappa: Nominal scale agreement provision for scaled disagreement or "
            "partial credit",
            "journal": "Psychological Bulletin",
            "volume": "70",
            "number": "4",
            "pages": "213--220",
            "year": "1968",
            "doi": "10.1037/h0026256",
        },
    ),
    "deutsch2021statistical": Reference(
        "article",
        "Deutsch et al., 2021",
        {
            "author": "Deutsch, Daniel and Dror, Rotem and Roth, Dan",
            "title": "A Statistical Analysis of Summarization Evaluation Metrics Using Resampling "
            "Methods",
            "journal": "Transactions of the Association for Computational Linguistics",
            "volume": "9",
            "pages": "1132--1146",
            "year": "2021",
            "doi": "10.1162/tacl_a_00417",
        },
    ),
    "deutsch2023ties": Reference(
        "inproceedings",
        "Deutsch et al., 2023",
        {
            "author": "Deutsch, Daniel and Foster, George and Freitag, Markus",
            "title": "Ties Matter: Meta-Evaluating Modern Metrics with Pairwise Accuracy and Tie "
            "Calibration",
            "booktitle": "Proceedings of the 2023 Conference on Empirical Methods in Natural "
            "Language Processing",
            "pages": "12914--12929",
            "year": "2023",
            "publisher": _ACL,
            "doi": "10.18653/v1/2023.emnlp-main.798",
        },
    ),
    "donner1986review": Reference(
        "article",
        "Donner, 1986",
        {
            "author": "Donner, Allan",
            "title": "A Review of Inference Procedures for the Intraclass Correlation Coefficient "
            "in the One-Way Random Effects Model",
            "journal": "International Statistical Review",
            "volume": "54",
            "number": "1",
            "pages": "67--82",
            "year": "1986",
            "doi": "10.2307/1403259",
        },
    ),
    "holm1979simple": Reference(
        "article",
        "Holm, 1979",
        {
            "author": "Holm, Sture",
            "title": "A Simple Sequentially Rejective Multiple Test Procedure",
            "journal": "Scandinavian Journal of Statistics",
            "volume": "6",
            "number": "2",
            "pages": "65--70",
            "year": "1979",
        },
    ),
    "kendall1945treatment": Reference(
        "article",
        "Kendall, 1945",
        {
            "author": "Kendall, Maurice G.",
            "title": "The treatment of ties in ranking problems",
            "journal": "Biometrika",
            "volume": "33",
            "number": "3",
            "pages": "239--251",
            "year": "1945",
            "doi": "10.1093/biomet/33.3.239",
        },
    ),
    "krippendorff2011computing": Reference(
        "techreport",
        "Krippendorff, 2011",
        {
            "author": "Krippendorff, Klaus",
            "title": "Computing {Krippendorff}'s Alpha-Reliability",
            "institution": "University of Pennsylvania, Annenberg School for Communication",
            "year": "2011",
            "url": "https://repository.upenn.edu/asc_papers/43",
        },
    ),
    "owen2007pigeonhole": Reference(
        "article",
        "Owen, 2007",
        {
            "author": "Owen, Art B.",
            "title": "The pigeonhole bootstrap",
            "journal": "The Annals of Applied Statistics",
            "volume": "1",
            "number": "2",
            "pages": "386--411",
            "year": "2007",
            "doi": "10.1214/07-AOAS122",
        },
    ),
    "owen2012bootstrapping": Reference(
        "article",
        "Owen and Eckles, 2012",
        {
            "author": "Owen, Art B. and Eckles, Dean",
            "title": "Bootstrapping data arrays of arbitrary order",
            "journal": "The Annals of Applied Statistics",
            "volume": "6",
            "number": "3",
            "pages": "895--927",
            "year": "2012",
            "doi": "10.1214/12-AOAS547",
        },
    ),
    "perrella2024guardians": Reference(
        "inproceedings",
        "Perrella et al., 2024",
        {
            "author": "Perrella, Stefano and Proietti, Lorenzo and Scir{\\`e}, Alessandro and "
            "Barba, Edoardo and Navigli, Roberto",
            "title": "Guardians of the Machine Translation Meta-Evaluation: Sentinel Metrics Fall "
            "In!",
            "booktitle": "Proceedings of the 62nd Annual Meeting of the Association for "
            "Computational Linguistics (Volume 1: Long Papers)",
            "pages": "16216--16244",
            "year": "2024",
            "publisher": _ACL,
            "doi": "10.18653/v1/2024.acl-long.856",
        },
    ),
    "qiu2026chatanime": Reference(
        "inproceedings",
        "Qiu et al., 2026",
        {
            "author": "Qiu, Lanlan and Pu, Sophia Xiao and Feng, Yeqi and Gao, Wenchang and "
            "He, Tianxing",
            "title": "{ChatAnime}: Towards User-Centered Emotional Support in {LLM}-based Virtual "
            "Character Chat",
            "booktitle": "Proceedings of the 64th Annual Meeting of the Association for "
            "Computational Linguistics (Volume 1: Long Papers)",
            "pages": "47062--47078",
            "year": "2026",
            "publisher": _ACL,
            "doi": "10.18653/v1/2026.acl-long.2179",
            "note": "The data set first appeared in arXiv:2508.06388",
        },
    ),
    "shrout1979intraclass": Reference(
        "article",
        "Shrout and Fleiss, 1979",
        {
            "author": "Shrout, Patrick E. and Fleiss, Joseph L.",
            "title": "Intraclass correlations: Uses in assessing rater reliability",
            "journal": "Psychological Bulletin",
            "volume": "86",
            "number": "2",
            "pages": "420--428",
            "year": "1979",
            "doi": "10.1037/0033-2909.86.2.420",
        },
    ),
    "spearman1904proof": Reference(
        "article",
        "Spearman, 1904",
        {
            "author": "Spearman, Charles",
            "title": "The proof and measurement of association between two things",
            "journal": "The American Journal of Psychology",
            "volume": "15",
            "number": "1",
            "pages": "72--101",
            "year": "1904",
            "doi": "10.2307/1412159",
        },
    ),
    "stuart1953estimation": Reference(
        "article",
        "Stuart, 1953",
        {
            "author": "Stuart, Alan",
            "title": "The estimation and comparison of strengths of association in contingency "
            "tables",
            "journal": "Biometrika",
            "volume": "40",
            "number": "1/2",
            "pages": "105--110",
            "year": "1953",
            "doi": "10.2307/2333101",
        },
    ),
    "thompson2024improving": Reference(
        "inproceedings",
        "Thompson et al., 2024",
        {
            "author": "Thompson, Brian and Mathur, Nitika and Deutsch, Daniel and Khayrallah, Huda",
            "title": "Improving Statistical Significance in Human Evaluation of Automatic Metrics "
            "via Soft Pairwise Accuracy",
            "booktitle": "Proceedings of the Ninth Conference on Machine Translation",
            "pages": "1222--1234",
            "year": "2024",
            "publisher": _ACL,
            "doi": "10.18653/v1/2024.wmt-1.118",
        },
    ),
    "wang2025improving": Reference(
        "inproceedings",
        "Wang et al., 2025",
        {
            "author": "Wang, Victor and Zhang, Michael J. Q. and Choi, Eunsol",
            "title": "Improving {LLM}-as-a-Judge Inference with the Judgment Distribution",
            "booktitle": "Findings of the Association for Computational Linguistics: EMNLP 2025",
            "pages": "23173--23199",
            "year": "2025",
            "publisher": _ACL,
            "doi": "10.18653/v1/2025.findings-emnlp.1259",
        },
    ),
}


def bibtex(keys: Iterable[str]) -> str:
    """The entries of these keys, each once, in alphabetical order."""
    return "\n".join(_entry(key, REFERENCES[key]) for key in sorted(set(keys)))


def _entry(key: str, reference: Reference) -> str:
    fields = "".join(f"  {name} = {{{value}}},\n" for name, value in reference.fields.items())
    return f"@{reference.kind}{{{key},\n{fields}}}\n"


class Cite(tuple[str, ...]):
    """A citation of these keys."""

    __slots__ = ()


class Formula(NamedTuple):
    """Mathematics, for TeX and for plain text."""

    tex: str
    plain: str


Part = str | Cite | Formula


class Paragraph(NamedTuple):
    """A paragraph with its head; plain texts, citations and formulas in turn."""

    head: str
    parts: tuple[Part, ...]


def cited(paragraphs: Sequence[Paragraph]) -> tuple[str, ...]:
    """Keys in the order in which they are first cited."""
    parts = (part for paragraph in paragraphs for part in paragraph.parts)
    return tuple(dict.fromkeys(key for part in parts if isinstance(part, Cite) for key in part))


def to_latex(paragraphs: Sequence[Paragraph]) -> str:
    r"""Paragraphs with run-in heads and `\citep`."""
    text = "\n\n".join(
        f"\\paragraph{{{latex.escape(head)}}}\n{''.join(map(_latex, parts))}"
        for head, parts in paragraphs
    )
    return f"{latex.CJK_FALLBACK}\n{text}\n" if r"\judgecjk" in text else f"{text}\n"


def _latex(part: Part) -> str:
    if isinstance(part, Cite):
        return rf"\citep{{{','.join(part)}}}"
    return f"${part.tex}$" if isinstance(part, Formula) else latex.escape(part)


def to_markdown(paragraphs: Sequence[Paragraph]) -> str:
    """Paragraphs with run-in heads and authors with years in brackets."""
    text = (f"**{head}.** {''.join(map(_markdown, parts))}\n" for head, parts in paragraphs)
    return "\n".join(text)


def _markdown(part: Part) -> str:
    if isinstance(part, Cite):
        return f"({'; '.join(REFERENCES[key].short for key in part)})"
    return escape_markdown(part.plain if isinstance(part, Formula) else part)
