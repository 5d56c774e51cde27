"""Why the ledger refuses. The class docstring is the message; a refusal has written nothing."""

from ingest_app.errors import RequestRefused

LARGEST_BALANCE = 2**31 - 1


class MoveRefused(RequestRefused):
    """the move was refused"""

    status = 409
    code = "refused"
    # what is at fault where nothing else is named
    usual_field: str | None = None

    def __init__(self, field: str | None = None) -> None:
        super().__init__("", field or self.usual_field)


class PointsDisabled(MoveRefused):
    """the setting points_enabled is 0: nothing is earned, redeemed, spent or reversed"""

    status = 403
    code = "points_disabled"


class NoPrice(MoveRefused):
    """the setting points_per_credit is no price: the operator can mend it with `footfall settings set`"""

    status = 503
    code = "points_per_credit_unusable"
    retry_after_seconds = 60


class UnknownUser(MoveRefused):
    """there is no user of this id: none was stated by `PUT /api/users`, and none has earned anything"""

    status = 404
    code = "unknown_user"
    usual_field = "user_id"


class UnknownLog(MoveRefused):
    """there is no row of this id in the log of points"""

    status = 404
    code = "unknown_log"
    usual_field = "log_id"


class IsAReversal(MoveRefused):
    """this log row is a reversal, which cannot be reversed: earn or redeem anew"""

    code = "is_a_reversal"
    usual_field = "log_id"


class AlreadyReversed(MoveRefused):
    """this log row is reversed already"""

    code = "already_reversed"
    usual_field = "log_id"


class NotReversible(MoveRefused):
    """no row of `user_credit_logs` says which credits this redeem bought, so it cannot be reversed"""

    code = "not_reversible"
    usual_field = "log_id"


class NotEnough(MoveRefused):
    """{held} {unit} of {needed} needed: {missing} missing"""

    unit = ""

    def __init__(self, field: str | None, held: int, needed: int) -> None:
        super().__init__(field)
        self.held, self.needed, self.missing = held, needed, needed - held

    def __str__(self) -> str:
        return (NotEnough.__doc__ or "").format(**vars(self), unit=self.unit)


class NotEnoughPoints(NotEnough):
    """Less points than what they were asked for."""

    code = "not_enough_points"
    unit = "points"


class NotEnoughCredits(NotEnough):
    """Less credits than what they were asked for."""

    code = "not_enough_credits"
    unit = "credits"


class BalanceTooLarge(MoveRefused):
    """no balance goes over {largest:,}"""

    code = "balance_too_large"

    def __init__(self, field: str | None = None) -> None:
        super().__init__(field)
        self.largest = LARGEST_BALANCE


class KeyReused(MoveRefused):
    """this Idempotency-Key was sent before, with another body or to another address: a new request needs a new key"""

    code = "idempotency_key_reused"
    usual_field = "Idempotency-Key"


class KeyMissing(MoveRefused):
    """send a header Idempotency-Key, a new one for each move, and the same one if you send a move again"""

    status = 400
    code = "idempotency_key_missing"
    usual_field = "Idempotency-Key"


class KeyInvalid(MoveRefused):
    """an Idempotency-Key has 1 to 255 printable ASCII characters, like a UUID"""

    status = 400
    code = "idempotency_key_invalid"
    usual_field = "Idempotency-Key"


class LedgerUnavailable(MoveRefused):
    """the ledger cannot be asked now: send it again, with the same Idempotency-Key, by which a move is made once"""

    status = 503
    code = "database_unavailable"
    retry_after_seconds = 5
