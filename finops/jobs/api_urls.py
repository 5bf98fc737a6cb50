"""Addresses of the jobs' resources, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from finops.api.converters import register
from finops.jobs import api

register()

urlpatterns = [
    path("jobs", api.Jobs.as_view()),
    path("jobs/<id:job_id>", api.OneJob.as_view()),
    path("jobs/<id:job_id>/stop", api.StopJob.as_view()),
    path("jobs/<id:job_id>/resume", api.ResumeJob.as_view()),
]
