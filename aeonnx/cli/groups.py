"""Groups of commands: suggest a command for a typo, and list commands in the order of use."""

from __future__ import annotations

import click

__all__ = ["Group", "commands_of"]


class Group(click.Group):
    """Suggests a command for a typo."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no such command {args[0]!r}.{hint} Known: {', '.join(self.commands)}.")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)  # in the order of use, not alphabetically


def commands_of(group: click.Group) -> dict[str, click.Command]:
    """The commands of a group by their words, such as "train" and "deploy triton"."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {rest}": inner for rest, inner in commands_of(command).items()}
        else:
            found[name] = command
    return found
