from typing import Self, final

from typing_extensions import disjoint_base

from engine.numbers.numbering import Classifier, Converter
from engine.numbers.route_table import RouteTable
from engine.numbers.rules import (
    CarrierRule,
    EndpointType,
    ExtensionRule,
    Hop,
    RewriteRule,
    RouteKind,
)

@disjoint_base
class CompiledExtensions:
    def __new__(cls, rules: tuple[ExtensionRule, ...]) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def rules(self) -> tuple[ExtensionRule, ...]: ...

@disjoint_base
class CompiledNumbering:
    def __new__(
        cls, converters: tuple[Converter, ...], classifiers: tuple[Classifier, ...]
    ) -> Self: ...
    @property
    def converters(self) -> tuple[Converter, ...]: ...
    @property
    def classifiers(self) -> tuple[Classifier, ...]: ...
    def e164(self, number: str) -> str: ...
    def classify(self, number: str) -> str: ...

@disjoint_base
class CompiledCarriers:
    def __new__(cls, rules: tuple[CarrierRule, ...]) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def rules(self) -> tuple[CarrierRule, ...]: ...

@disjoint_base
class CompiledBlocklists:
    def __new__(
        cls,
        names: tuple[str, ...],
        numbers: tuple[tuple[str, ...], ...],
        numbering: CompiledNumbering,
    ) -> Self: ...
    @property
    def names(self) -> tuple[str, ...]: ...

@disjoint_base
class CompiledPlan:
    def __new__(
        cls,
        extensions: CompiledExtensions | None,
        rewrites: tuple[RewriteRule, ...],
        table: RouteTable | None,
        carriers: CompiledCarriers | None,
        numbering: CompiledNumbering,
        blocked: CompiledBlocklists | None,
        denied: frozenset[str],
    ) -> Self: ...
    @property
    def extensions(self) -> CompiledExtensions | None: ...
    @property
    def rewrites(self) -> tuple[RewriteRule, ...]: ...
    @property
    def table(self) -> RouteTable | None: ...
    @property
    def carriers(self) -> CompiledCarriers | None: ...
    @property
    def numbering(self) -> CompiledNumbering: ...
    @property
    def blocked(self) -> CompiledBlocklists | None: ...
    @property
    def denied(self) -> frozenset[str]: ...
    def match(self, number: str) -> Route | None: ...
    def resolve(
        self, number: str
    ) -> tuple[
        int,
        int,
        str,
        str,
        int,
        bool,
        str,
        int,
        int,
        bool,
        str,
        tuple[tuple[int, int, str], ...],
        tuple[tuple[int, int, str, int, int], ...],
        int,
        int,
        str,
        tuple[tuple[int, int, str], ...],
    ]: ...
    def refusal_of(self, number: str) -> tuple[str, str]: ...
    def would_rewrite(self, rule: int, number: str) -> bool: ...

@final
class Route:
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    @property
    def kind(self) -> RouteKind: ...
    @property
    def endpoint_type(self) -> EndpointType | None: ...
    @property
    def id(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def hops(self) -> tuple[Hop, ...]: ...
    @property
    def refusal(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def e164(self) -> str: ...
    @property
    def classification(self) -> str: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
