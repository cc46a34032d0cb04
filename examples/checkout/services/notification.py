"""The notification service: writes mails. Remembers nothing and cannot be asked: a request sent twice is two mails.

`POST /mails` {order, to, subject}.
"""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .admin import main
from .desk import Desk, Done, Remembers


class Mail(BaseModel):
    """A mail about an order."""

    order: str
    to: str
    subject: str


def routes(desk: Desk) -> list[Route]:
    """The business of the notification service."""

    async def mail(request: Request) -> Response:
        asked = Mail.model_validate_json(await request.body())
        done = Done("mail", "mail", {"to": asked.to, "subject": asked.subject})
        return await desk.serve(request, "mail", asked.order, lambda: done)

    return [Route("/mails", mail, methods=["POST"])]


if __name__ == "__main__":
    main("notification", Remembers.NOTHING, routes)
