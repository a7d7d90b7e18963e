"""Texts in five kinds of writing: English, Chinese, Russian and Japanese, and program text. Nothing is downloaded.

English is Python's documentation, a paragraph on a line. Program text is the source of Python's standard library. Both differ a little between
versions of Python. The other texts are generated: sentences of words in random order, with a fixed seed. The words are the common ones below, and
names from Babel (languages, countries, currencies, scripts, cities). So the words and letters are real, but the grammar is not.
"""

# ruff: noqa: RUF001 - Russian letters that look like Latin ones

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpora import Corpus, default_corpora

__all__ = ["five_kinds", "names"]

_BYTES = 200_000

# Pure Python of different authors: tables, classes, mathematics, and text processing.
_MODULES = ("argparse", "ast", "calendar", "configparser", "dataclasses", "difflib", "fractions", "heapq", "ipaddress", "pickletools", "statistics")

# Words that are listed several times are drawn more often.
_CHINESE = """
的 的 的 的 了 了 是 是 在 在 和 有 我 我 我们 他 他们 她 你 这 这个 那 那个 不 不 也 都 就 很 要 会 可以 能 到 说 对 从 把 被 让 给 与 但 但是 因为
所以 如果 虽然 已经 还 还是 没有 什么 怎么 为什么 自己 一个 一些 一种 两个 三 十 百分之 多 大 小 新 好 高 长 重要 主要 不同 中国 北京 上海 今天 昨天
明天 现在 时间 时候 问题 工作 生活 学生 老师 朋友 孩子 家 学校 公司 政府 社会 经济 发展 历史 文化 国家 世界 人民 市场 技术 科学 研究 系统 数据 语言
模型 计算机 网络 信息 电话 手机 天气 音乐 电影 城市 农村 道路 火车 飞机 健康 医院 食品 水 茶 米饭 看 听 写 读 想 知道 觉得 认为 希望 喜欢 开始 结束
继续 需要 使用 进行 提高 增加 减少 完成 成为 表示 报道 记者 星期一 上午 下午 晚上 春天 夏天 秋天 冬天
"""

_JAPANESE = """
の の の の は は は が が を を に に で と も から まで より です です ます ました でした ません した して している されている という ている こと
もの ため よう それ これ この その あの 私 彼 彼女 私たち あなた 人 人々 日本 東京 大阪 今日 昨日 明日 今 時間 年 月 日 前 後 中 上 下 大きい 小さい
新しい 古い 良い 高い 長い 重要な 必要な 多くの 少し とても しかし そして また 例えば なぜ 何 どう 学校 学生 先生 友達 子供 家族 会社 政府 社会 経済
歴史 文化 国 世界 市場 技術 科学 研究 システム データ 言語 モデル コンピュータ インターネット ニュース 電話 天気 音楽 映画 都市 道 電車 飛行機 病院
食べ物 水 お茶 ご飯 見る 聞く 書く 読む 思います 考える 知っている 好き 始める 終わる 続ける 使う 行く 来る 食べる 作る 増える 減る 言った 発表した
月曜日 午前 午後 夜 春 夏 秋 冬 ください ありがとう
"""

_RUSSIAN = """
и и и в в в на на не не что что он она они мы вы я это этот эта как так но а по с из за от до для при о об у же бы только уже ещё когда если потому
поэтому чтобы который которая которые был была было были есть будет может можно нужно сказал сказала говорит думает знает хочет работает живёт стал
начал закончил использовать сделать увидеть понять найти большой маленький новый старый хороший высокий важный разный первый второй последний много
мало очень тоже здесь там сегодня вчера завтра сейчас время год месяц день неделя человек люди ребёнок дети друг дом город страна мир школа студент
учитель работа компания правительство общество экономика история культура рынок технология наука исследование система данные язык модель компьютер
сеть информация телефон погода музыка фильм дорога поезд самолёт больница еда вода чай хлеб Россия Москва понедельник утром вечером весна лето осень
зима спасибо пожалуйста
"""


class _Style(NamedTuple):
    """How words become sentences.

    Attributes:
        words: the common words.
        space: the text between two words.
        comma: the text between two clauses.
        end: the end of a sentence.
        gap: the text between two sentences.
    """

    words: str
    space: str
    comma: str
    end: str
    gap: str


_STYLES = {
    "zh": _Style(_CHINESE, "", "\uff0c", "\u3002", ""),
    "ru": _Style(_RUSSIAN, " ", ", ", ".", " "),
    "ja": _Style(_JAPANESE, "", "\u3001", "\u3002", ""),
}


def five_kinds(size: int = _BYTES) -> list[Corpus]:
    """Return the five corpora, each of at least `size` bytes of UTF-8. English and program text may be shorter, if there is no more of them."""
    corpora = {
        "English": [" ".join(text.split()) for text in next(iter(default_corpora())).texts],
        "Chinese": _made_texts("zh"),
        "Russian": _made_texts("ru"),
        "Japanese": _made_texts("ja"),
        "program text": _program_texts(),
    }
    return [Corpus(name, _first(texts, size)) for name, texts in corpora.items()]


def _first(texts: Iterable[str], size: int) -> list[str]:
    """Return the first texts that have at least `size` bytes together, or all texts if they have fewer."""
    found = []
    for text in texts:
        found.append(text)
        size -= len(text.encode())
        if size <= 0:
            break
    return found


def _program_texts() -> Iterator[str]:
    """Yield the functions and classes of some modules of the standard library: the blocks between two blank lines. The modules alternate."""
    blocks = []
    for name in _MODULES:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        blocks.append(Path(spec.origin).read_text(encoding="utf-8").split("\n\n\n"))
    for group in itertools.zip_longest(*blocks):
        yield from (block for block in group if block)


def _made_texts(language: str) -> Iterator[str]:
    """Yield texts of one to six sentences. There is no last one."""
    style = _STYLES[language]
    draw = random.Random(language)
    common, rare = style.words.split(), names(language)

    def word() -> str:
        kind = draw.random()
        return draw.choice(common) if kind < 0.8 else draw.choice(rare) if kind < 0.97 else str(draw.randrange(1, 3000))

    while True:
        sentences = []
        for _ in range(draw.randint(1, 6)):
            clauses = [style.space.join(word() for _ in range(draw.randint(2, 9))) for _ in range(draw.randint(1, 3))]
            sentence = style.comma.join(clauses) + style.end
            sentences.append(sentence[0].upper() + sentence[1:])
        yield style.gap.join(sentences)


def names(language: str) -> list[str]:
    """Return Babel's names of languages, countries, currencies, scripts and cities, in a language."""
    from babel import Locale

    locale = Locale.parse(language)
    cities = [zone["city"] for zone in locale.time_zones.values() if "city" in zone]
    return [*locale.languages.values(), *locale.territories.values(), *locale.currencies.values(), *locale.scripts.values(), *cities]
