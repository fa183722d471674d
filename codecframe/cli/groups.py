"""A group of commands that names the nearest where there is no such command."""

from __future__ import annotations

import click


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
