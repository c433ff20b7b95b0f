"""What listmonk's API user must be allowed, and is, by `GET /api/profile`.

https://listmonk.app/docs/roles-and-permissions/
What each request asks for is in listmonk's source (v6.2.0): cmd/handlers.go names the
permission of a route, cmd/subscribers.go and internal/auth/models.go those of lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preference_center.integrations.base.check_report import Right
from preference_center.integrations.base.pydantic_types import Lenient

_USER_ROLE = "grant it to the user's role (Users, User roles)"
_LIST_ROLE = "grant it to the user's role, or give the user a list role (Users, List roles)"


class _Role(Lenient):
    permissions: tuple[str, ...] = ()


class _OnList(Lenient):
    id: int = 0
    permissions: tuple[str, ...] = ()


class _ListRole(Lenient):
    lists: tuple[_OnList, ...] = ()


class Profile(Lenient):
    """The API user, with its user role and its list role if it has one."""

    user_role: _Role | None = None
    list_role: _ListRole | None = None

    def may(self, permission: str) -> bool:
        """Whether the user role has it."""
        return self.user_role is not None and permission in self.user_role.permissions

    def may_with(self, permission: str, list_id: str) -> bool:
        """Whether the list role has it for this list."""
        lists = self.list_role.lists if self.list_role else []
        return any(str(each.id) == list_id and permission in each.permissions for each in lists)


def rights(profile: Profile, lists: Sequence[str]) -> Iterator[Right]:
    """What the connector needs, for the lists that topics are mapped to."""
    by_role = all(profile.may_with("list:get", list_id) for list_id in lists)
    yield Right(
        "subscribers:get_all, or subscribers:get with list:get on every mapped list",
        "see who is there and what is off",
        # With neither, listmonk answers every search with nobody: all would seem absent.
        profile.may("subscribers:get_all") or (profile.may("subscribers:get") and by_role),
        _LIST_ROLE,
    )
    yield Right(
        "subscribers:sql_query",
        "search by address",
        profile.may("subscribers:sql_query"),
        _USER_ROLE,
    )
    yield Right(
        "subscribers:manage",
        "change subscriptions",
        profile.may("subscribers:manage"),
        _USER_ROLE,
    )
    for list_id in lists:
        yield Right(
            f"lists:get_all, or list:get on list {list_id}",
            f"see list {list_id}",
            profile.may("lists:get_all") or profile.may_with("list:get", list_id),
            _LIST_ROLE,
        )
        yield Right(
            f"lists:manage_all, or list:manage on list {list_id}",
            f"turn list {list_id} off and on",
            profile.may("lists:manage_all") or profile.may_with("list:manage", list_id),
            _LIST_ROLE,
        )
