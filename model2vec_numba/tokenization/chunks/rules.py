r"""Decide which tokenizers give, for every text, the ids of its chunks one after the other.

The decision is proved from the JSON of the tokenizer. There are three families.

- *Words*: white space only separates. This is so if the first pre-tokeniser drops white space (BERT, T5, CLIP). It is also so if the normaliser makes
  one space of each run of white space and strips the ends, and ``Metaspace`` then puts its character before each word (CamemBERT, SigLIP).
- *Pieces with a space*: the pre-tokeniser cuts before a single space between two solid characters, which belongs to the word after it. The patterns
  of GPT-2 and Llama do this, and ``Metaspace`` too. Most patterns also cut after a single newline.
- *Tokens with a space*: nothing cuts, but no token of BPE has the space after another character (Llama 2, Mistral, Gemma).

The pre-tokenisers work one after the other. Up to the first one that cuts, each must treat the texts on the two sides of the cut as if the other
side were not there. A pre-token that spans the cut is then cut further in the same way. After a cut, the pre-tokens on its two sides have nothing to
do with each other: each is cut further and looked up by itself.

`Edges` finds out what the first and the last code point of a chunk may do to their neighbours.
"""

from __future__ import annotations

import string
from typing import Any, NamedTuple

from model2vec_numba.tokenization.added_tokens.reading import AllAddedTokens
from model2vec_numba.tokenization.chunks.added import Contents, read_contents
from model2vec_numba.tokenization.chunks.edges import AFTER_NOTHING, AFTER_SPACE, BEFORE_END, Edges
from model2vec_numba.tokenization.chunks.normalizing import SEPARATORS, Hazards, Normalizing, blanks, read_normalizing
from model2vec_numba.tokenization.chunks.patterns import Pattern
from model2vec_numba.tokenization.components import library_pre_tokenizer
from model2vec_numba.tokenization.models.bpe.cuts import adjacent_pairs
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.pre_tokenizers.byte_level import GPT2
from model2vec_numba.tokenization.pre_tokenizers.split import Split
from model2vec_numba.tokenization.regex.matching import automaton_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["ChunkRule", "chunk_rule"]

# Pre-tokenisers that look at one character at a time and drop white space.
_DROP_WHITE_SPACE = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
# The patterns that match each run of white space from these, if it has two characters or is not a single space.
_RUNS = {"any": (r"\s+", r"\s{2,}|[\n\r\t]"), "spaces": (r"\s+", r"\s{2,}|[\n\r\t]", r"\s{2,}", " {2,}", " +")}


class ChunkRule(NamedTuple):
    """How texts are cut into chunks.

    Attributes:
        trims: if true, chunks are the runs of bytes between white space, which is the space, tab, line feed and carriage return. If false, cuts are
            made before each byte 0x20 whose two neighbour bytes are above 0x20, so that a chunk begins with its space.
        after_newline: whether cuts are also made after each byte 0x0A whose two neighbour bytes are above 0x20. Always false if `trims`.
        drops_space: whether the core gets a chunk without its space. A text that begins with a space must not be cut then.
        edges: says which chunks are unsafe. A text that has an unsafe chunk must not be cut. ``None``: all chunks are safe.
    """

    trims: bool
    after_newline: bool
    drops_space: bool
    edges: Edges | None


def chunk_rule(spec: TokenizerSpec, added: AllAddedTokens) -> ChunkRule | None:
    """Return the rule of a tokenizer that has a compiled core. ``None`` if its texts must not be cut.

    If a text has no unsafe chunk, its ids are those of its chunks, each tokenised as a text of its own.
    """
    config = spec.config
    normalizing = read_normalizing(config.get("normalizer"))
    members = _single_pre_tokenizers(config.get("pre_tokenizer"))
    if normalizing is None or members is None or not normalizing.keeps_clusters:
        return None
    contents = read_contents(added, config.get("normalizer"))
    if contents is None:
        return None
    rule = _word_rule(normalizing, members, contents) or _space_rule(spec, normalizing, members, contents)
    return rule if rule is None or rule.edges is None or _is_useful(rule.edges) else None


def _single_pre_tokenizers(config: Any) -> list[dict[str, Any]] | None:
    """Return the single pre-tokenisers of a pre-tokeniser. ``None`` if it has an unknown form."""
    if config is None:
        return []
    if not isinstance(config, dict):
        return None
    if config.get("type") != "Sequence":
        return [config]
    members: list[dict[str, Any]] = []
    for member in config.get("pretokenizers", [None]):
        single = None if member is None else _single_pre_tokenizers(member)
        if single is None:
            return None
        members += single
    return members


def _is_useful(edges: Edges) -> bool:
    """Return whether ASCII's letters and digits are safe. If not, hardly any text could be cut."""
    return not any(edges.flags(character) & (AFTER_SPACE | AFTER_NOTHING | BEFORE_END) for character in string.ascii_letters + string.digits)


# Words.


def _word_rule(normalizing: Normalizing, members: list[dict[str, Any]], contents: Contents) -> ChunkRule | None:
    """Return the rule of a tokenizer to which white space only separates. ``None`` if it is not known to be one."""
    if contents.hold_white_space() or any(step["type"] == "Prepend" for step in normalizing.steps) or not members:
        return None
    if _drops_white_space(members[0]):
        library = library_pre_tokenizer(members[0])
        if not _separates(normalizing) or not all(_are_two(library, normalizing.between_letters(run) or "") for run in (*SEPARATORS, "\r\n")):
            return None
        hazards = Hazards(white=_changes_white_space(normalizing))
    elif len(members) == 1 and _begins_words(members[0]) and not contents.hold(members[0]["replacement"]) and not contents.normalized.contents:
        # A token that is found in the normalised text would have a space before it, which `Metaspace` makes a pre-token.
        replacement = members[0]["replacement"]
        if _is_word_splitter(normalizing.steps[-2:]):
            normalizing = normalizing[:-2]
            between = [normalizing.between_letters(run) or "" for run in (*SEPARATORS, "\r\n")]
            if not _separates(normalizing) or not all(text and set(text) <= blanks(text)[0] for text in between):
                return None
            hazards = Hazards(white=_changes_white_space(normalizing), strips_more=True, anywhere=replacement, passes=True)
        elif _makes_one_space(normalizing, replacement):
            hazards = Hazards(white=True, empty=True)
            hazards.first[replacement] = AFTER_NOTHING
            return _trimming(normalizing, hazards, cluster_bytes=normalizing.cluster_bytes)
        else:
            return None
    else:
        return None
    return _trimming(normalizing, hazards, cluster_bytes=0)


def _trimming(normalizing: Normalizing, hazards: Hazards, cluster_bytes: int) -> ChunkRule:
    """Return the rule of a tokenizer to which white space only separates. `cluster_bytes`: see `Edges`."""
    all_are_safe = hazards == Hazards() and normalizing.precompiled is None
    edges = None if all_are_safe else Edges(normalizing.probe(hazards), trims=True, cluster_bytes=cluster_bytes)
    return ChunkRule(trims=True, after_newline=False, drops_space=False, edges=edges)


def _drops_white_space(member: dict[str, Any]) -> bool:
    """Return whether a pre-tokeniser drops white space, and cuts the text between two separators as if it were a text of its own."""
    if member["type"] in _DROP_WHITE_SPACE:
        return True
    made = make_pre_tokenizer(member)
    if not isinstance(made, Split) or made.behavior != "Removed" or not made.invert:
        return False
    pattern = Pattern(made.automaton)
    return pattern.is_usable and not any(pattern.reads(separator) or not pattern.stops_before(separator) for separator in SEPARATORS)


def _are_two(pre_tokenizer: Any, white_space: str) -> bool:
    """Return whether two letters with white space between them are two pre-tokens."""
    return [text for text, _ in pre_tokenizer.pre_tokenize_str(f"x{white_space}x")] == ["x", "x"]


def _separates(normalizing: Normalizing) -> bool:
    """Return whether a normaliser does the same to the texts between white space as to whole texts, and keeps some white space between them.

    The callers check what each separator becomes.
    """
    is_kept = all(
        pattern is None or not pattern.is_blank or (step["content"] and set(step["content"]) <= set(SEPARATORS))
        for step, pattern in zip(normalizing.steps, normalizing.patterns, strict=True)
    )
    return is_kept and normalizing.keeps_apart(SEPARATORS)


def _changes_white_space(normalizing: Normalizing) -> bool:
    """Return whether a normaliser has a step that takes white space together with the white space next to it, or at the ends of a text."""
    return any(
        step["type"] == "Strip" or (pattern is not None and pattern.is_blank)
        for step, pattern in zip(normalizing.steps, normalizing.patterns, strict=True)
    )


def _begins_words(member: dict[str, Any]) -> bool:
    """Return whether a pre-tokeniser is a ``Metaspace`` that puts its character before each word, and cuts there."""
    return bool(member["type"] == "Metaspace" and member["prepend_scheme"] == "always" and member["split"])


def _is_word_splitter(steps: list[dict[str, Any]]) -> bool:
    """Return whether two steps make one space of all white space between words, and remove it at the ends of a text."""
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    replace = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    return steps in ([strip, replace], [replace, strip])


def _makes_one_space(normalizing: Normalizing, replacement: str) -> bool:
    """Return whether a normaliser makes one space, or one `replacement`, of each run of separators, and removes separators at the end of a text."""
    # The result of a run of separators so far: any run, some spaces, one space, or one `replacement`.
    runs = "any"
    strips = False
    for at, (step, pattern) in enumerate(zip(normalizing.steps, normalizing.patterns, strict=True)):
        if step["type"] == "Strip":
            strips |= step["strip_right"] and runs != replacement
        elif runs == replacement:
            return False
        elif pattern is None:
            results = {run: normalizing[at : at + 1].between_letters(run) for run in (*SEPARATORS, "\r\n")}
            if runs == " ":
                if results[" "] != " ":
                    return False
            elif all(result and not result.strip(" ") for result in results.values()):
                runs = "spaces"
            elif any(result != run for run, result in results.items()):
                return False
        elif pattern.is_blank:
            if runs not in _RUNS or step["pattern"].get("Regex") not in _RUNS[runs] or step["content"] not in (" ", replacement):
                return False
            runs = step["content"]
    contents = [
        step["content"] for step, pattern in zip(normalizing.steps, normalizing.patterns, strict=True) if pattern is not None and not pattern.is_blank
    ]
    is_apart = normalizing.keeps_apart(SEPARATORS) and normalizing.keeps_ends_solid and not any(replacement in content for content in contents)
    return runs in (" ", replacement) and strips and is_apart


# Pieces and tokens with a space.


class _Cutting(NamedTuple):
    """The cuts of pre-tokenisers before a separator and after a newline.

    Attributes:
        cuts: whether they always cut before the separator.
        patterns: patterns that cut before it if a match begins with it.
        cuts_after_newline: whether they always cut after a single newline. ``None``: they treat the texts on its two sides as texts of their own, but
            may leave them in one pre-token.
        separator: what the separator becomes if nothing is cut. ``None``: it is not known.
    """

    cuts: bool
    patterns: list[Pattern]
    cuts_after_newline: bool | None
    separator: str | None


def _space_rule(spec: TokenizerSpec, normalizing: Normalizing, members: list[dict[str, Any]], contents: Contents) -> ChunkRule | None:
    """Return the rule of a tokenizer that cuts before a space, or whose tokens have a space only at the beginning. ``None`` if it is not known."""
    hazards = Hazards(white=True, empty=True)
    drops_space = _prepends_separator(normalizing.steps)
    normalized = _through_normalizer(normalizing, drops_space=drops_space)
    if normalized is None:
        return None
    separator, after_newline = normalized
    strips_left = any(step["type"] == "Strip" and step["strip_left"] for step in normalizing.steps)
    if strips_left:
        # The chunk loses its space, and `Metaspace` puts its character there again.
        strips_right = any(step["type"] == "Strip" and step["strip_right"] for step in normalizing.steps)
        if not members or not _begins_words(members[0]) or not strips_right or separator != " " or contents.normalized.contents:
            return None
        hazards.first[members[0]["replacement"]] = AFTER_SPACE | AFTER_NOTHING
    if contents.cross_separator(separator, hazards) or (drops_space and contents.normalized.contents):
        return None
    never = normalizing.steps[-1] if normalizing.steps and normalizing.steps[-1]["type"] == "Replace" else None
    members = [member for member in members if never is None or not _never_matches(member, never)]
    cutting = _through_pre_tokenizers(members, separator)
    cuts_after_newline = cutting.cuts_after_newline
    if not cutting.cuts:
        if cutting.patterns:
            if drops_space:
                return None
            # A separator that is not matched may be in one pre-token with the characters on both sides.
            if normalizing.composes:
                return None
            hazards.begins_safely = lambda firsts: set().union(*(pattern.begins_before(separator, firsts) for pattern in cutting.patterns))
            contents.make_ends_unsafe(hazards, lasts=False)
        else:
            sign = cutting.separator
            pairs = None if sign is None else adjacent_pairs(spec.config["model"], spec.merges, "\n", sign)
            if pairs is None:
                return None
            befores = {former for former, latter in pairs if latter == sign}
            if normalizing.composes and any(not character.isascii() and character != sign for character in befores):
                return None
            if cuts_after_newline is None:
                cuts_after_newline = not any(former == "\n" != latter for former, latter in pairs)
            for character in befores:
                hazards.last[character] = hazards.last.get(character, 0) | BEFORE_END
    if drops_space:
        contents.make_ends_unsafe(hazards, lasts=True)
    if normalizing.replaces and (hazards.first or hazards.last):
        # The table of `Edges` does not have the results of matches of several characters.
        return None
    after_newline = after_newline and bool(cuts_after_newline) and not contents.hold("\n")
    edges = Edges(normalizing.probe(hazards), trims=False, cluster_bytes=normalizing.cluster_bytes)
    return ChunkRule(trims=False, after_newline=after_newline, drops_space=drops_space, edges=edges)


def _prepends_separator(steps: list[dict[str, Any]]) -> bool:
    """Return whether the last steps put a character before the text and replace spaces by this character."""
    kinds = [step["type"] for step in steps]
    if kinds[-2:] not in (["Prepend", "Replace"], ["Replace", "Prepend"]) or "Prepend" in kinds[:-2]:
        return False
    (prepend,), (replace,) = ([step for step in steps[-2:] if step["type"] == kind] for kind in ("Prepend", "Replace"))
    return replace["pattern"] == {"String": " "} and replace["content"] == prepend["prepend"]


def _through_normalizer(normalizing: Normalizing, *, drops_space: bool) -> tuple[str, bool] | None:
    """Return what a space between two solid characters becomes, and whether a newline between two such characters stays as it is.

    ``None`` if the space does not become a single character that does not depend on its neighbours.
    """
    separator, after_newline = " ", not drops_space
    if not normalizing.keeps_ends_solid or (any(step["type"] == "Prepend" for step in normalizing.steps) and not drops_space):
        return None
    for at, (step, pattern) in enumerate(zip(normalizing.steps, normalizing.patterns, strict=True)):
        after_newline = after_newline and step["type"] != "Strip" and (pattern is None or pattern.is_blank or not pattern.reads("\n"))
        if step["type"] in ("Strip", "Prepend"):
            continue
        single = normalizing[at : at + 1]
        # Only white space is known not to be composed with its neighbours.
        if separator != " " and single.composes and pattern is None:
            return None
        if not single.keeps_apart(separator):
            return None
        result = single.between_letters(separator)
        if result is None or len(result) != 1 or (result != separator and (pattern is not None or step["type"] != "Replace")):
            return None
        separator = result
        after_newline = after_newline and single.between_letters("\n") == "\n"
    return separator, after_newline


def _never_matches(member: dict[str, Any], last_step: dict[str, Any]) -> bool:
    """Return whether a pre-tokeniser splits at a string that the last step of the normaliser has replaced everywhere."""
    return bool(
        member["type"] == "Split"
        and member["pattern"] == last_step["pattern"]
        and (string := member["pattern"].get("String"))
        and len(string) == 1
        and string not in last_step["content"]
        and member["behavior"] != "Removed"
        and not member["invert"]
    )


def _through_pre_tokenizers(members: list[dict[str, Any]], separator: str) -> _Cutting:
    """Return what pre-tokenisers do before `separator` and after a newline."""
    patterns: list[Pattern] = []
    cuts_after_newline: bool | None = None
    for member in members:
        made = make_pre_tokenizer(member)
        behavior, invert, automaton = "Isolated", False, None
        if member["type"] == "Metaspace":
            # A pre-token that begins with a space or the replacement gets no other one.
            if separator not in (" ", member["replacement"]):
                return _Cutting(False, [], False, None)
            if member["split"]:
                return _Cutting(True, [], bool(cuts_after_newline), None)
            separator, cuts_after_newline = member["replacement"], bool(cuts_after_newline)
            continue
        if member["type"] == "ByteLevel":
            if member["add_prefix_space"]:
                cuts_after_newline = bool(cuts_after_newline)
                if separator != " ":
                    return _Cutting(False, [], False, None)
            automaton = automaton_of("Regex", GPT2) if member["use_regex"] else None
        elif isinstance(made, Split):
            behavior, invert, automaton = made.behavior, made.invert, made.automaton
        if automaton is None or behavior.startswith("Merged") or not (pattern := Pattern(automaton)).is_usable or not pattern.stops_before(separator):
            return _Cutting(False, patterns, bool(cuts_after_newline), None)
        if cuts_after_newline is None:
            if (behavior == "Isolated" or invert) and behavior != "Contiguous" and pattern.ends_with_newline():
                cuts_after_newline = True
            elif pattern.reads("\n"):
                cuts_after_newline = False
        if behavior != "Contiguous":
            if (behavior == "Removed" and invert) or pattern.begins_with(separator):
                return _Cutting(True, [], bool(cuts_after_newline), None)
            patterns += [pattern] if pattern.reads(separator) else []
        if member["type"] == "ByteLevel":
            return _Cutting(False, patterns, bool(cuts_after_newline), None)
    return _Cutting(False, patterns, cuts_after_newline, separator)
