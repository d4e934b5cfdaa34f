"""Files of a case: brought in by a form, scanned, and opened again by whom the file is; and the card for the person."""

import base64
import hashlib
from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State, UploadFile
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.cases import deeds, frame, wording
from adapters.web.cases.writing import Lacking, Said, about, concept, written
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.case_codes import CASE_DOCUMENT
from service.casework import desk_flow, phases
from service.db import Session
from service.errors import Forbidden, NotFound, Refusal, TooLarge
from service.practice import Practice
from service.records.media import SUFFIXES
from service.referrals import attachment_flow
from service.values import Id, new_id

Asked = Request[Any, Any, Any]
LARGEST = Practice().attachment_octets + 100_000
"""The body of a form with a file: a file a little over the limit is told so, a much larger one is not taken in."""
CARD = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@get("/cases/{task:uuid}/documents", media_type=MediaType.HTML)
async def documents(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """What is in the file."""
    return await frame.show(request, state, who, task, "documents")


@post("/cases/{task:uuid}/documents", media_type=MediaType.HTML, status_code=200, request_max_body_size=LARGEST)
async def bring(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Keep a file in the case; every other form on this tab is a deed like any other."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await deeds.do(request, state, who, task, "documents")
    fault: Fault
    said: dict[str, str] = {}
    try:
        said, content, declared, name = await _sent(request)
        return await _keep(request, state, who, task, said, content, declared, name)
    except Lacking as lacking:
        fault = lacking.told(who)
    except (Forbidden, NotFound):
        raise
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {"contentType": "file", "content": "file", "type": "document"})
    return await frame.show(
        request, state, who, task, "documents", status=fault.status, fault=fault, act="upload", typed=said
    )


async def _sent(request: Asked) -> tuple[dict[str, str], bytes, str, str]:
    """The fields of the form, and the file with its declared type and its name. Raises Forbidden, TooLarge, Lacking."""
    shell.guard_site(request)
    try:
        form = await request.form()
    except HTTPException as fault:
        if fault.status_code == 413:
            raise TooLarge("The form is too large.") from fault
        raise
    said = {name: value.replace("\0", "") for name, value in form.items() if isinstance(value, str)}
    shell.guard_session(request, said.pop("token", ""))
    file = form.get("file")
    content = await file.read() if isinstance(file, UploadFile) else b""
    if not isinstance(file, UploadFile) or not content:
        raise Lacking([("file", noted("请选择要上传的文件。"))])
    return said, content, file.content_type, file.filename.replace("\0", "")


async def _keep(
    request: Asked, state: State, who: Person, task: Id, said: dict[str, str], content: bytes, declared: str, name: str
) -> Page:
    database = state.database
    verdict = await attachment_flow.examined(database.scanner, database.practice, content, declared)
    form = Said(said, {key: [value] for key, value in said.items()})
    document = form.text("document")
    if document and not (document in phases.DOCUMENTS and phases.DOCUMENTS[document].form):
        raise Lacking([("document", noted("请从列表中选择。"))])

    async def do(session: Session) -> str:
        view = await desk_flow.view(session, who.actor, task, session.began)
        if not view.whole:
            raise Forbidden("This is for who has the case.", key="wrong-actor")
        file = new_id()
        body: dict[str, Any] = {
            "resourceType": "DocumentReference", "status": "current", "subject": about(view)["subject"],
            "content": [{"attachment": {"contentType": declared, "title": form.text("title") or name, "url": f"Binary/{file}"}}],
            "context": {"related": about(view)["basedOn"]},
        }  # fmt: skip
        if document:
            body["type"] = concept(CASE_DOCUMENT, document)
            if phases.DOCUMENTS[document].by_supervisor and who.actor.worker:
                body["author"] = [{"reference": f"PractitionerRole/{who.actor.worker}"}]
        made = await written(state, session, who, body, session.began)
        kept = await attachment_flow.attach(
            session, who.actor, file, content, declared, ("DocumentReference", Id(made["id"])), session.began, verdict
        )
        return wording.done(f"/cases/{task}/documents", "uploaded-pending" if kept.scan == "pending" else "uploaded")

    marked = {**said, "file": hashlib.sha256(content).hexdigest()}
    return await acting.act(
        request, state, who, marked, "case-upload", do, action="C", resource_type="Task", resource_id=task
    )


@get("/cases/{task:uuid}/files/{file:uuid}")
async def file(request: Asked, state: State, who: Signed, task: FromPath[Id], file: FromPath[Id]) -> Response[bytes]:
    """A file of the case, to be saved: what is in it is not ours, so that no page of ours shows it."""
    call = shell.call(request, "page-case-file", resource_type="Binary", resource_id=file)
    async with access.open(state.database, who.actor, call) as session:
        view = await desk_flow.view(session, who.actor, task, session.began)
        papers = await desk_flow.papers(session, who.actor, view, "DocumentReference")
        held = await desk_flow.files(session, view, [each.id for each in papers])
        found = next((each for each in held if each.id == file), None)
        if found is None:
            raise NotFound("There is no such file of this case.")
        content = await attachment_flow.read(session, found)
    headers = {
        "Content-Type": found.media_type,
        "Content-Disposition": f'attachment; filename="{file}{SUFFIXES.get(found.media_type, "")}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(content, headers=headers)


@get("/cases/{task:uuid}/card", media_type=MediaType.HTML)
async def card(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """The card for the person, to be printed; where it is not safe, why not."""
    fault: Fault
    call = shell.call(request, "page-case-card", resource_type="Task", resource_id=task)
    try:
        async with access.open(state.database, who.actor, call) as session:
            view = await desk_flow.view(session, who.actor, task, session.began)
            if not view.whole:
                raise Forbidden("This is for who has the case.", key="wrong-actor")
            made = await state.fhir(
                session, who.actor, "GET", f"ServiceRequest/{view.share.filler}/$card", None, session.began
            )
        return Response(base64.b64decode(made["data"]), media_type="text/html; charset=utf-8", headers=CARD)
    except (Forbidden, NotFound):
        raise
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {})
    return await frame.show(request, state, who, task, "notes", status=fault.status, fault=fault)


route_handlers = [documents, bring, file, card]
