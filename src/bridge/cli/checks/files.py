"""The two files of a site."""

from __future__ import annotations

from pathlib import Path

from bridge.cli.checks.finding import Finding, good, wrong
from bridge.config import RulesFile, Site, check_rules, load_rules, load_site
from bridge.errors import ConfigError


def files(config: Path) -> tuple[list[Finding], Site | None, RulesFile | None]:
    """What is wrong with them, and both as far as they can be read."""
    try:
        site = load_site(config)
    except ConfigError as error:
        return _wrong(config, error), None, None
    lines = [good(config.name, "read")]
    name = site.rules_file.name
    try:
        rules = load_rules(site.rules_file)
        problems = check_rules(rules, site)
        if not problems:
            from bridge.rules import compile_rules

            compile_rules(rules)
    except ConfigError as error:
        return lines + _wrong(site.rules_file, error), site, None
    if problems:
        return lines + [wrong(name, problem.sentence()) for problem in problems], site, rules
    lines += [
        good(
            name,
            f"{rule} is {one.mode}: {one.algorithm} at {one.platform}, results to {', '.join(one.destinations)}",
        )
        for rule, one in rules.rules.items()
    ]
    return lines, site, rules


def _wrong(file: Path, error: ConfigError) -> list[Finding]:
    return [wrong(file.name, one.sentence()) for one in (error, *error.others)]
