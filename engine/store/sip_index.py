"""Who has which AOR, over all accounts: an AOR belongs to one device, a realm to one account."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.errors import Conflict
from engine.store.documents import Account, Device


class SipIndex:
    """AORs and realms. Realms are compared in lower case, usernames as they are."""

    def __init__(self) -> None:
        """Begin without any."""
        self._aors: dict[tuple[str, str], tuple[str, str]] = {}
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._realms: dict[str, str] = {}

    def holder(self, realm: str, username: str) -> tuple[str, str] | None:
        """Return the account id and device id of an AOR, None when nobody has it."""
        return self._aors.get((realm.lower(), username))

    def check_account(self, account: Account, devices: Iterable[Device]) -> None:
        """Raise `Conflict` when the realm is taken, or devices would clash under it."""
        holder = self._realms.get(account.realm)
        if holder not in (None, account.id):
            raise Conflict("realm", account.realm, f"account {holder}")
        for (realm, _), (account_id, device_id) in self._aors.items():
            # A device elsewhere that names this realm would register under a name of this account.
            if realm == account.realm and account_id != account.id:
                raise Conflict("realm", account.realm, f"device {device_id}")
        seen: dict[tuple[str, str], str] = {}
        for device in devices:
            key = _key(account, device)
            if key and key in seen:
                raise Conflict("sip.username", key[1], f"device {seen[key]}")
            if key:
                seen[key] = device.id

    def check_device(self, account: Account, device: Device) -> None:
        """Raise `Conflict` when the device's AOR is taken or its realm is another account's."""
        key = _key(account, device)
        if key is None:
            return
        if self._realms.get(key[0], account.id) != account.id:
            raise Conflict("sip.realm", key[0], f"account {self._realms[key[0]]}")
        holder = self._aors.get(key)
        if holder is not None and holder != (account.id, device.id):
            raise Conflict("sip.username", key[1], f"device {holder[1]}")

    def keep_account(self, account: Account, devices: Iterable[Device]) -> None:
        """Take over a new or changed account, checked before."""
        self.forget_account(account.id)
        self._realms[account.realm] = account.id
        for device in devices:
            self.keep_device(account, device)

    def keep_device(self, account: Account, device: Device) -> None:
        """Take over a new or changed device, checked before."""
        self.forget_device(account.id, device.id)
        key = _key(account, device)
        if key is not None:
            self._aors[key] = (account.id, device.id)
            self._keys[account.id, device.id] = key

    def forget_device(self, account_id: str, device_id: str) -> None:
        """Drop a device, if it is there."""
        key = self._keys.pop((account_id, device_id), None)
        if key is not None:
            del self._aors[key]

    def forget_account(self, account_id: str) -> None:
        """Drop an account and all its devices."""
        self._realms = {realm: who for realm, who in self._realms.items() if who != account_id}
        for holder in [holder for holder in self._keys if holder[0] == account_id]:
            self.forget_device(*holder)


def _key(account: Account, device: Device) -> tuple[str, str] | None:
    if not device.sip.username:
        return None
    return (device.sip.realm or account.realm).lower(), device.sip.username
