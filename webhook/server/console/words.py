"""The words of the page in its languages. English is the key of every other one.

Reasons stay as they are: logs, warnings and audit events have the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGUAGES", "Words", "words_for"]

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}

CHINESE: Final[Mapping[str, str]] = {
    "Skip to the content": "跳到正文",
    "Language": "语言",
    "The same as JSON:": "同样的数据（JSON）：",
    "State": "状态",
    "Ready: reviews come here.": "就绪：审查请求会发到这里。",
    "Not ready: reviews do not come here.": "未就绪：审查请求不会发到这里。",
    "The rules file was refused; the rules before it are in use.": (
        "规则文件被拒绝；仍在使用之前的规则。"
    ),
    "No review has come yet.": "还没有收到任何审查请求。",
    "Is the namespace selected? It needs a label, by default:": (
        "命名空间是否被选中？默认需要标签："
    ),
    "Is the webhook registered, reached and trusted?": "webhook 是否已注册、可达并受信任？",
    "Did the Pod opt out? Then it has the label or annotation:": (
        "Pod 是否选择了退出？若是，它带有标签或注解："
    ),
    "The API server asks only for Pods that are created from now on, and only where a "
    "rule may change an image. Pods from files of a node (static Pods) cannot change.": (
        "API server 只对此后创建、且有规则可能改变其镜像的 Pod 发出请求；"
        "来自节点文件的 Pod（静态 Pod）无法修改。"
    ),
    "{count} warnings": "{count} 条警告",
    "Replica": "副本",
    "Replicas": "副本",
    "All {count} replicas have the same version and the same rules.": (
        "全部 {count} 个副本的版本和规则都相同。"
    ),
    "Versions differ: a rolling update is in progress, or stopped halfway.": (
        "版本不一致：滚动更新正在进行，或中途停止。"
    ),
    "Rules differ: a change of the file gets about, or a replica did not take it.": (
        "规则不一致：规则文件的更改正在传播，或有副本没有采用它。"
    ),
    "{count} of {total} replicas do not answer.": ("有 {count} 个副本没有应答（共 {total} 个）。"),
    "Only this replica is known": "只知道这一个副本",
    "where certificates are not kept by the webhook itself, it may not ask the API server "
    "where the others are. Look at each of them: kubectl port-forward pod/NAME 8080": (
        "证书不由 webhook 自己管理时，它无权向 API server 询问其他副本在哪里。"
        "请逐个查看：kubectl port-forward pod/NAME 8080"
    ),
    "Replicas, each asked now": "各副本（刚刚询问）",
    "this one": "本副本",
    "Ready": "就绪",
    "Rules": "规则",
    "since": "自",
    "file refused": "文件被拒绝",
    "Version": "版本",
    "Running since": "运行自",
    "Rules loaded": "规则加载于",
    "Certificate until": "证书有效期至",
    "Last review": "最近一次审查",
    "none yet": "尚无",
    "Policies": "策略",
    "mirrors are asked": "查询镜像站",
    "mirrors are not asked": "不查询镜像站",
    "{count} rules": "{count} 条规则",
    "rewrite": "改写",
    "observe": "仅观察",
    "What would become of an image?": "某个镜像会变成什么？",
    "Explain": "解释",
    "Image": "镜像",
    "Policy": "策略",
    "Why": "原因",
    "Mirrors are asked when a Pod is created: another may be taken.": (
        "创建 Pod 时会查询镜像站：可能选用另一个。"
    ),
    "Candidates, the preferred first": "候选，优先者在前",
    "Chain of rules": "规则链",
    "Mirror": "镜像站",
    "{count} rules do not match": "{count} 条规则不匹配",
    "Rules considered": "考虑过的规则",
    "Rule": "规则",
    "Mirrors": "镜像站",
    "What of it": "结论",
    "keep": "保持不变",
    "by the rule {rule}, which wins": "被规则 {rule} 遮盖，后者优先",
    "the image is at one of its mirrors already": "该镜像已位于它的某个镜像站",
    "Images of the last hour": "最近一小时的镜像",
    "left as they were": "保持原样",
    "in doubt": "存疑",
    "Images by minute: {summary}": "每分钟的镜像：{summary}",
    "Latest decisions": "最近的决定",
    "Show": "显示",
    "Namespace": "命名空间",
    "Outcome": "结果",
    "any": "任意",
    "Image or Pod contains": "镜像或 Pod 包含",
    "Time": "时间",
    "Pod": "Pod",
    "Reason": "原因",
    "The latest {count}, the latest first": "最近 {count} 条，最新在前",
    "No decision is known of these Pods since the start.": ("自启动以来没有关于这些 Pod 的决定。"),
    "dry run": "试运行",
    "Rules and mirrors": "规则与镜像站",
    "There are no rules.": "没有规则。",
    "Images": "镜像数",
    "Share": "占比",
    "Health": "健康",
    "flat": "只保留末段",
    "rewritten": "已改写",
    "unconfirmed": "未证实",
    "kept": "按规则保留",
    "mirrored": "已在镜像站",
    "unmatched": "无规则匹配",
    "local": "本地镜像",
    "invalid": "名称无效",
    "looping": "循环重建",
    "unavailable": "无可用镜像站",
    "skipped": "已跳过",
    "error": "内部错误",
    "applies": "适用",
    "follows": "随后适用",
    "at-mirror": "已在镜像站",
    "shadowed": "被遮盖",
    "answers": "有应答",
    "failing": "出错",
    "left-alone": "暂不使用",
    "not-asked-yet": "尚未查询",
    "not-asked": "不查询",
    "ready": "就绪",
    "not-ready": "未就绪",
    "no-answer": "无应答",
}
# Where the value of a label would be no English.
ENGLISH: Final[Mapping[str, str]] = {
    "at-mirror": "at its mirror",
    "left-alone": "left alone",
    "not-asked-yet": "not asked yet",
    "not-asked": "not asked",
    "not-ready": "not ready",
    "no-answer": "no answer",
}
TABLES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "zh": CHINESE}


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    Attributes:
        language: Its code, as HTML has it.
        table: What each text is in it; one that is not there stays as it is.
    """

    language: str
    table: Mapping[str, str]

    def __call__(self, english: str, **values: object) -> str:
        """Return a text in this language, with *values* in its braces."""
        text = self.table.get(english, english)
        return text.format(**values) if values else text


def words_for(asked: str, accepted: str) -> Words:
    """Return the language of a visitor.

    Args:
        asked: The language asked for by name; empty for none.
        accepted: The header ``Accept-Language``.
    """
    language = asked if asked in LANGUAGES else preferred(accepted)
    return Words(language, TABLES[language])


def preferred(accepted: str) -> str:
    """Return the language that a browser likes best of those that there are."""
    best, weight = "en", 0.0
    for part in accepted.split(","):
        name, _, parameter = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and (found := quality(parameter)) > weight:
            best, weight = language, found
    return best


def quality(parameter: str) -> float:
    """Return the weight of a language; 1 where none is given, 0 where it cannot be read."""
    name, equals, value = parameter.strip().partition("=")
    if not equals:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
