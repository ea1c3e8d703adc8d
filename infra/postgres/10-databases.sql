-- A database and a user for each service that keeps state; none reads another's.
-- Run once by psql, when the data directory is new. Passwords come from files.
\set ON_ERROR_STOP on
\set risk_password `cat /run/tapewire/risk-password`
\set desk_password `cat /run/tapewire/desk-password`
CREATE ROLE risk LOGIN PASSWORD :'risk_password';
CREATE ROLE desk LOGIN PASSWORD :'desk_password';
CREATE DATABASE risk OWNER risk;
CREATE DATABASE desk OWNER desk;
REVOKE CONNECT, TEMPORARY ON DATABASE risk, desk FROM PUBLIC;
