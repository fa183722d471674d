"""Groups of commands: built on first use, and naming the nearest where there is no such command."""

from __future__ import annotations

import importlib
from typing import Any

import click

from codecframe.core.errors import UsageError


class FunctionCommand(click.Command):
    """A command that calls one public function with what was typed, and shows what it returns.

    Its parameters are the function's, of the same names, but for those of `RENDERING`.

    Attributes:
        function: the function's name, such as `codecframe.encode_files`.
    """

    RENDERING = frozenset({"as_json"})
    """Parameters that say how results are shown."""

    def __init__(self, *arguments: Any, function: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.function = function

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; arguments that do not go together are bad usage, with their options."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise click.UsageError(error.worded(self._typed), ctx) from None

    def _typed(self, parameter: str) -> str:
        """What users type for a parameter of the function."""
        found = next((one for one in self.params if one.name == parameter), None)
        if isinstance(found, click.Option):
            return max(found.opts, key=len)
        return parameter.upper()


class SuggestingGroup(click.Group):
    """Answers a misspelt command with the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; the usage error names the nearest command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close or "Did you mean" in error.format_message():
                raise
            message = f"{error.format_message()} Did you mean {close[0]!r}?"
            raise click.UsageError(message, ctx) from None


class CommandGroup(SuggestingGroup):
    """The command line: commands are imported when they are run, not to list them.

    Examples:
        >>> from codecframe.cli.groups import CommandGroup
        >>> cli = CommandGroup("codecframe")
        >>> cli.add_lazy_command("mine", "what it does", "my_plugin.commands:mine")
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy: dict[str, tuple[str, str]] = {}
        self._plugins_loaded = False

    def add_lazy_command(self, name: str, summary: str, target: str) -> None:
        """Add a command that is imported on first use.

        Args:
            name: what users type.
            summary: one line for `--help`.
            target: where the `click.Command` is, `package.module:attribute`.
        """
        self._lazy[name] = (summary, target)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, those of plugins included."""
        self._load_plugins()
        return sorted({*self._lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; plugins are asked where there is no built-in one."""
        if cmd_name not in self._lazy:
            self._load_plugins()
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][1].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in `--help`."""
        self._load_plugins()
        added = {name: command.get_short_help_str(60) for name, command in self.commands.items()}
        lazy = {name: summary for name, (summary, _) in self._lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**added, **lazy}.items()))

    def _load_plugins(self) -> None:
        if not self._plugins_loaded:
            from codecframe.core import registry

            self._plugins_loaded = True
            registry.default().add_commands(self)


class DefaultGroup(SuggestingGroup):
    """A group in which one command is meant where none is named.

    Args:
        default: that command's name; what else is typed are its arguments.
    """

    def __init__(self, *args: Any, default: str, **options: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **options})
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the default's name before arguments that name no command."""
        names = {*self.commands, *ctx.help_option_names}
        if not args or args[0] not in names:
            args = [self._default, *args]
        return super().parse_args(ctx, args)
