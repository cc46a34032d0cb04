"""What well-known providers promise, as data with source and date, and ready probes for those that can be asked.

Rules that hold here: a profile says nothing that its source does not say, and says so where the source is
silent; the engine reads profiles and knows no provider; a probe is ready only where the provider documents a
call that finds our request by something that we sent with it.
"""

from saga.profiles.files import Profile, load, read, shipped
from saga.profiles.probes import (
    braintree_transactions,
    checkout_payments,
    paypal_capture,
    probe_by_key,
    stripe_charges,
)

__all__ = [
    "Profile",
    "braintree_transactions",
    "checkout_payments",
    "load",
    "paypal_capture",
    "probe_by_key",
    "read",
    "shipped",
    "stripe_charges",
]
